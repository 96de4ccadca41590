// npm start: sets up, then runs the main job. What follows "--" are options of the server.
import { installPackages } from './packages.mjs'
import { setUp } from './setup.mjs'

const plugins = ['--plugins', 'id,backup']

/** What backups need, what confines them, and a laptop in software to try them with. */
const programs = { rsync: 'rsync', bwrap: 'bubblewrap', ssh: 'openssh-client' }

setUp('product')
installPackages('backups need these, or are less safe without; to have them', programs)
const typed = process.argv.slice(2)
const chosen = typed.some((word) => word === '--plugins' || word.startsWith('--plugins='))
process.argv.splice(2, typed.length, ...(chosen ? [] : plugins), ...typed)
await import('../dist/core/bin/sugar-server.js')
