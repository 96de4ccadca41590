import { fold } from './kernel/hook.js'

/** Where the listeners can be reached from this machine. */
export interface Reachable {
  /** `http://127.0.0.1:8080` for a listener's name; undefined when it is not there. */
  url(listener: string): string | undefined
  /** How one of this package's programs is typed, in any directory: by its path where it is not installed. */
  program(name: string): string
}

/** What each plugin says to the person who has just started the server: what runs where, and what to type next. */
export const greeting = fold<Record<string, readonly string[]>, Reachable>('core/greeting@1')
