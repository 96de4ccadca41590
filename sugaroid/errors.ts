/** The command line, or an argument that came from it, makes no sense. Exit code 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError'

  constructor(
    message: string,
    readonly hint = 'see "sugaroid --help"',
  ) {
    super(message)
  }
}

/** The home directory holds something that cannot be used as it is. Exit code 74. */
export class HomeError extends Error {
  override readonly name = 'HomeError'

  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}

/** A program that has to be installed is not. Exit code 69. */
export class MissingProgram extends Error {
  override readonly name = 'MissingProgram'
  readonly hint: string

  constructor(program: string, debianPackage: string) {
    super(`the program ${program} is not installed`)
    this.hint = `install it: apt-get install ${debianPackage}`
  }
}

/**
 * The server answered, but not with what Python's xmlrpc.client can read. Python raises such errors outside
 * the ones Sugar catches, so Sugar dies of them silently: never to be mixed up with "cannot connect".
 */
export class BrokenReply extends Error {
  override readonly name = 'BrokenReply'
}
