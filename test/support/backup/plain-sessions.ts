import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { RsyncVersion } from '../../../core/api.js'
import { serverArguments } from '../../../plugins/backup/rsync/arguments.js'
import { parseCommand } from '../../../plugins/backup/rsync/command.js'
import { streamShape } from '../../../plugins/backup/rsync/stream.js'
import type { Caller, Session, Sessions } from '../../../plugins/backup/session/session.js'

const version: RsyncVersion = { version: [3, 5, 0], protocol: 32 }

/** Sessions without slots, holds and snapshots: each learner has a directory, and what happens is written down. */
export class PlainSessions implements Sessions {
  readonly home: string
  readonly callers: Caller[] = []
  readonly commands: string[] = []
  /** Exit codes as the transport told them. */
  readonly codes: (number | null)[] = []
  readonly pids: number[] = []
  /** Why streams were refused. */
  readonly refused: string[] = []
  /** Sessions that have been opened and not ended. */
  opened = 0
  /** Those who waited and hung up. */
  left = 0
  /** Where a test has one wait. */
  wait: Promise<void> | undefined
  /** How the server breaks a session off. */
  readonly aborts = new Set<AbortController>()
  /** Where rsync is looked for. */
  path = process.env.PATH ?? ''
  /** What the laptop is told in the end, where it is not rsync's own code. */
  verdict: ((code: number | null) => number) | undefined

  constructor(home: string) {
    this.home = home
  }

  tree(uid: string): string {
    return join(this.home, uid, 'tree')
  }

  async open(caller: Caller, command: string, gone: AbortSignal): Promise<Session> {
    this.callers.push(caller)
    this.commands.push(command)
    const parsed = parseCommand(command)
    if (this.wait) {
      const hungUp = new Promise<void>((resolve) =>
        gone.addEventListener('abort', () => resolve(), { once: true }),
      )
      await Promise.race([this.wait, hungUp])
      if (gone.aborted) {
        this.left += 1
        throw new Error('nobody waits any more')
      }
    }
    const cwd = this.tree(caller.uid)
    const temporary = join(this.home, caller.uid, 'temporary')
    for (const name of ['datastore-current', 'documents', 'power-logs'])
      mkdirSync(join(cwd, name), { recursive: true })
    mkdirSync(temporary, { recursive: true })
    this.opened += 1
    const abort = new AbortController()
    this.aborts.add(abort)
    let endings = 0
    return {
      before: [],
      shape: streamShape(parsed, version),
      args: serverArguments(parsed, { temporary, log: join(this.home, caller.uid, 'log') }),
      cwd,
      env: { PATH: this.path },
      signal: abort.signal,
      refuse: (reason) => {
        this.refused.push(reason.message)
        abort.abort(reason)
      },
      started: (pid) => void this.pids.push(pid),
      ended: async (code) => {
        endings += 1
        if (endings > 1) throw new Error('a session was ended twice')
        this.aborts.delete(abort)
        this.opened -= 1
        this.codes.push(code)
        return this.verdict?.(code) ?? code ?? 75
      },
    }
  }
}

export function plainSessions(t: Test): PlainSessions {
  const home = mkdtempSync(join(tmpdir(), 'sugar-backup-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  return new PlainSessions(home)
}

/** Waits for something that happens soon, or not at all. */
export async function until(holds: () => boolean, seconds = 20): Promise<boolean> {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    if (holds()) return true
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return holds()
}

/** Whether a process runs; one that has ended and waits for its parent to notice does not. */
export function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
