// npm run bench -- NAME ...: runs a bench of bench/, ours and its peers in turn. What follows is for the bench.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { missingPackages } from './packages.mjs'
import { home, must, setUp } from './setup.mjs'

/** Programs that a bench cannot do without, and the Debian packages that bring them. */
const programs = {
  activation: { taskset: 'util-linux' },
  backup: { rsync: 'rsync', ssh: 'openssh-client', sshd: 'openssh-server' },
  register: { python3: 'python3', taskset: 'util-linux' },
  rsync: { rsync: 'rsync', tar: 'tar', xz: 'xz-utils', setfattr: 'attr' },
}

const names = readdirSync(join(home, 'bench'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
const [name, ...args] = process.argv.slice(2)
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- ${names.join(' | ')} [...]`)
  process.exit(64)
}
const missing = missingPackages(programs[name] ?? {})
if (missing.length > 0) {
  console.error(
    `the bench ${name} needs packages that are not installed: apt-get install ${missing.join(' ')}`,
  )
  process.exit(69)
}
setUp()
must(process.execPath, [join(home, 'dist', 'bench', `${name}.js`), ...args])
