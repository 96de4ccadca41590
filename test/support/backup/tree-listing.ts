import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A line for each file: its name as bytes, type, mode, time to the nanosecond, link, and another with its sha256.
 * Directories and links have whole seconds, for rsync looks at no more.
 */
export function listing(top: string): Set<string> {
  const formats = ['-type', 'f', '-printf', '%P f %m %T@\\0', '-o', '-printf', '%P %y %m %Ts %l\\0']
  const facts = output('find', ['.', ...formats], top)
  const sums = output('find', ['.', '-type', 'f', '-exec', 'sha256sum', '-z', '{}', '+'], top)
  return new Set([...facts.split('\0'), ...sums.split('\0')])
}

/** What one listing has and the other lacks. */
export const unequal = (before: Set<string>, after: Set<string>): string[] => [
  ...[...before].filter((line) => !after.has(line)).map((line) => `- ${line}`),
  ...[...after].filter((line) => !before.has(line)).map((line) => `+ ${line}`),
]

function output(command: string, args: string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'latin1', maxBuffer: 1 << 26 })
  if (status !== 0) throw new Error(`${command} in ${cwd}: ${stderr}`)
  return stdout
}

const nanos = [
  '1970-01-01 00:00:01.000000001',
  '2026-11-20 10:11:12.123456789',
  '2038-02-01 00:00:00.999999999',
]

/** Puts what is unusual beside a Journal: every byte that a name can have, empty things, modes, times, links. */
export function makeOddities(datastore: string): void {
  const odd = join(datastore, 'odd')
  mkdirSync(join(odd, 'empty'), { recursive: true })
  for (let byte = 1; byte < 256; byte += 1) {
    if (byte === 0x2f || byte === 0x2e) continue
    writeFileSync(Buffer.concat([Buffer.from(`${odd}/`), Buffer.from([byte])]), Buffer.from([byte, 0, byte]))
  }
  writeFileSync(Buffer.concat([Buffer.from(`${odd}/a\nb\xff`, 'latin1')]), 'a name with a line in it')
  writeFileSync(join(odd, 'n'.repeat(255)), 'a long name')
  writeFileSync(join(odd, 'none'), '')
  for (const [name, mode] of [
    ['read', 0o444],
    ['group', 0o640],
    ['closed', 0o600],
    ['runs', 0o755],
  ] as const) {
    writeFileSync(join(odd, name), name.repeat(5000))
    chmodSync(join(odd, name), mode)
  }
  symlinkSync('read', join(odd, 'link'))
  symlinkSync('/etc/passwd', join(odd, 'out'))
  symlinkSync('../../../../../../etc', join(odd, 'up'))
  symlinkSync('nowhere', join(odd, 'dangling'))
  chmodSync(join(odd, 'empty'), 0o750)
  for (const [at, time] of nanos.entries()) {
    writeFileSync(join(odd, `time ${at}`), time)
    output('touch', ['-d', `${time} UTC`, join(odd, `time ${at}`)], odd)
  }
  utimesSync(odd, 1_000_000_000, 1_000_000_000.5)
}
