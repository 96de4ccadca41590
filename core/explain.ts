import { fold } from './kernel/hook.js'

/** What one plugin knows of a laptop or learner. */
export interface Chapter {
  /** For people, a fact a line. */
  lines: readonly string[]
  /** The same for programs. */
  facts: Readonly<Record<string, unknown>>
}

/** Chapters by plugin name. */
export type Story = Record<string, Chapter>

/**
 * `sugar-server explain SERIAL|UUID|UID`: each plugin adds a chapter under its own name, if it knows the one who
 * is asked for.
 */
export const explain = fold<Story, string>('core/explain@1', { seconds: 10 })
