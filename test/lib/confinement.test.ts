import { execFile, execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { confinedWords, findConfinement } from '../../core/api.js'
import { until } from '../support/core/server-process.js'
import { lacks, needs } from '../support/needs.js'

const trial = ['rsync', '--version']
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

function place(t: Test) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sugar-confinement-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o777)
  for (const name of ['own', 'shown', 'other']) {
    mkdirSync(join(folder, name))
    chmodSync(join(folder, name), 0o777)
    writeFileSync(join(folder, name, 'file'), name)
  }
  const [own, shown, other] = [join(folder, 'own'), join(folder, 'shown'), join(folder, 'other')]
  const words = confinedWords({ cwd: own, writable: [own], readable: [shown], hidden: [folder] })
  const runAs = (user: readonly string[], ...command: string[]) =>
    new Promise<{ code: unknown; out: string }>((resolve) => {
      const [program = '', ...args] = [...user, ...words, ...command]
      execFile(program, args, { timeout: 60_000 }, (error, out) => resolve({ code: error?.code ?? 0, out }))
    })
  return { folder, own, shown, other, words, runAs }
}

const canConfine = (t: Test): boolean =>
  needs(t, 'bwrap', 'bubblewrap') && needs(t, 'perl', 'perl-base') && needs(t, 'rsync', 'rsync')

t.test('a confined program finds what it may, writes where it may, and nothing else is there', async (t) => {
  if (!canConfine(t)) return
  const { own, shown, other, runAs } = place(t)
  t.same(await findConfinement(tmpdir(), trial), { layer: 'bubblewrap' })
  const users = process.getuid?.() === 0 ? { ourselves: [], nobody } : { ourselves: [] }
  for (const [user, before] of Object.entries(users)) {
    const run = (...command: string[]) => runAs(before, ...command)
    t.match(await run('cat', 'file', join(shown, 'file')), { code: 0, out: 'ownshown' })
    t.equal((await run('sh', '-c', `echo ${user} >written`)).code, 0)
    t.ok(existsSync(join(own, 'written')))
    const elsewhere = [join(other, 'file'), '../other/file', '/etc/passwd', '/dev/zero', '/proc/self/environ']
    for (const path of elsewhere) t.not((await run('cat', path)).code, 0, `${user}: ${path}`)
    for (const path of [other, '/etc/passwd', '/root', '/home'])
      t.not((await run('ls', path)).code, 0, `${user} cannot even see whether ${path} is there`)
    t.not((await run('sh', '-c', `echo x >${join(shown, 'more')}`)).code, 0)
    t.not((await run('sh', '-c', 'echo x >/usr/more')).code, 0)
    t.equal((await run('sh', '-c', 'exit 23')).code, 23, 'the exit code comes through')
    rmSync(join(own, 'written'))
  }
})

t.test('the capability that the unit gives the server does not keep bubblewrap from working', async (t) => {
  if (!canConfine(t)) return
  if (process.getuid?.() !== 0) return lacks(t, 'needs root', 'only root can hand on the capability')
  const { words } = place(t)
  const caps = ['--ambient-caps=+net_bind_service', '--inh-caps=+net_bind_service']
  const [program = '', ...user] = nobody
  const out = execFileSync(program, [...user, ...caps, ...words, 'cat', 'file'], { encoding: 'utf8' })
  t.equal(out, 'own')
})

t.test('a signal to the group ends the program in its own way, and kill -9 ends all of it', async (t) => {
  if (!canConfine(t)) return
  const { own, words } = place(t)
  // A shell could not mind a signal that is ignored when it starts.
  const script = '$| = 1; $SIG{TERM} = sub { open F, ">tidied"; exit 20 }; print "up"; sleep 1 while 1'
  writeFileSync(join(own, 'script'), script)
  const [program = '', ...args] = [...words, 'perl', 'script']
  const start = async () => {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (piece) => {
      said += piece
    })
    await until(() => said !== '', 'the program to run')
    return child
  }
  const asked = await start()
  process.kill(-(asked.pid ?? 0), 'SIGTERM')
  await until(() => asked.exitCode !== null, 'it to end')
  t.equal(asked.exitCode, 20)
  t.ok(existsSync(join(own, 'tidied')))
  const killed = await start()
  process.kill(-(killed.pid ?? 0), 'SIGKILL')
  await until(() => killed.signalCode !== null, 'it to end')
  // Its output is closed when none of its processes is left.
  await until(() => killed.stdout.destroyed || killed.stdout.readableEnded, 'the rest to end')
})

t.test('where it cannot be done, the reason and the next step are told', async (t) => {
  const path = process.env.PATH
  t.teardown(() => {
    process.env.PATH = path
  })
  process.env.PATH = '/nowhere'
  t.match(await findConfinement(tmpdir(), trial), {
    layer: 'none',
    why: 'the program bwrap is not installed',
    hint: 'install the package bubblewrap: apt-get install bubblewrap',
  })
  const { folder } = place(t)
  process.env.PATH = `${folder}:${path}`
  // As in a container that forbids it.
  writeFileSync(join(folder, 'bwrap'), '#!/bin/sh\necho "bwrap: No permissions" >&2; exit 1\n', {
    mode: 0o755,
  })
  t.match(await findConfinement(tmpdir(), trial), {
    layer: 'none',
    why: /does not work here: bwrap: No permissions/,
  })
  const through = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
  writeFileSync(join(folder, 'bwrap'), through, { mode: 0o755 })
  t.match(await findConfinement(tmpdir(), trial), {
    layer: 'none',
    why: 'bubblewrap does not hide files here',
  })
  rmSync(join(folder, 'bwrap'))
  if (!canConfine(t)) return
  t.match(await findConfinement(tmpdir(), ['rsink']), {
    layer: 'none',
    why: /^rsink does not run in bubblewrap/,
  })
})
