/** The home of the account that every XO has. */
export const homeOfXo = '/home/olpc'

/** An absolute path without `.`, `..`, blanks, or signs that no name of an account has. */
export const homeForm = /^(?=.{2,200}$)(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,8}$/
