import { resolve } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { Module } from '../public.js'
import { isModuleName } from './names.js'

const longestPath = 4000
const longestComment = 200

/** Control characters, and line and paragraph separators. */
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/**
 * Sees that what is said of a module can be written into an rsyncd.conf and read from there as the same: no value
 * begins a line of its own, is cut short, or stands for a variable.
 * @throws RequestError REQUEST_INVALID
 */
export function checkModule({ name, path, comment, owners }: Module): void {
  if (!isModuleName(name)) {
    throw wrong(
      `a module cannot be called ${JSON.stringify(name.slice(0, 100))}`,
      'choose another name with --as: 1 to 70 letters, digits, and . _ + - behind the first, and not "global"',
    )
  }
  checkPath(path)
  if (typeof owners === 'object') checkPath(owners.fakeroot)
  if (comment.length > longestComment || !isPlain(comment)) {
    throw wrong(
      `the comment of the module ${name} is not plain text on one line`,
      `use up to ${longestComment} characters`,
    )
  }
}

/** @throws RequestError REQUEST_INVALID for a path that no rsyncd.conf can hold */
export function checkPath(path: string): void {
  const isWhole = path.startsWith('/') && resolve(path) === path && path.length <= longestPath
  if (isWhole && isPlain(path)) return
  throw wrong(
    `the path ${JSON.stringify(path.slice(0, 200))} cannot be published`,
    'name the directory absolutely, without control characters, %, and \\ or blanks at the end',
  )
}

// rsync takes % for the beginning of a variable, and \ at the end for a line that goes on.
const isPlain = (value: string): boolean =>
  !control.test(value) && !value.includes('%') && !value.endsWith('\\') && value.trim() === value

const wrong = (message: string, hint: string): RequestError =>
  new RequestError('REQUEST_INVALID', message, { hint })
