// npm start: sets up, then runs the main job. What follows "--" are options of the server.
import { setUp } from './setup.mjs'

const plugins = ['--plugins', 'id,backup']

setUp('product')
const typed = process.argv.slice(2)
const chosen = typed.some((word) => word === '--plugins' || word.startsWith('--plugins='))
process.argv.splice(2, typed.length, ...(chosen ? [] : plugins), ...typed)
await import('../dist/core/bin/sugar-server.js')
