import { homedir } from 'node:os'
import { join } from 'node:path'
import { address, type Config, choice, flag, hostForm, list, path, port, seconds, text } from './option.js'

const systemRoot = '/var/lib/sugar-server'

const isRoot = process.getuid?.() === 0

/** The settings of the house itself. Plugins read them too. */
export const coreOptions = {
  host: address({ help: 'Address to listen on; "::" takes IPv4 and IPv6.', default: '0.0.0.0' }),
  'httpd-port': port({
    help: 'Port of the HTTP services; laptops expect 8000. 0 picks a free port.',
    default: 8000,
  }),
  hostname: text({
    help: 'Name under which laptops find this server.',
    default: 'schoolserver',
    placeholder: 'NAME',
    form: { pattern: hostForm, says: 'a host name' },
  }),
  plugins: list({
    help: 'Services to run: names of bundled plugins, npm packages, or paths that begin with / or ./',
    default: ['id', 'backup'],
    placeholder: 'NAME,NAME',
  }),
  root: path({
    help: 'Directory of everything the server keeps; when not run as root, ~/.local/sugar-server.',
    default: isRoot ? systemRoot : join(homedir(), '.local', 'sugar-server'),
    defaultText: systemRoot,
  }),
  security: flag({
    help: 'Take from USB sticks only what a key of security-keys has signed.',
    default: false,
  }),
  'security-keys': path({
    help: 'File of the public keys (gpg --export) whose signatures on USB sticks count; in the root, if not said.',
    default: '',
    defaultText: '<root>/trusted.gpg',
  }),
  strict: flag({
    help: 'Stop at start when any plugin cannot run, where otherwise the others would serve.',
    default: false,
  }),
  'drain-seconds': seconds({
    help: 'How long work that has begun may go on once the server is told to stop.',
    default: 10,
    max: 600,
  }),
  'log-level': choice({
    help: 'How much is logged.',
    default: 'info',
    of: ['error', 'warn', 'info', 'debug', 'silent'],
  }),
}

export type CoreConfig = Config<typeof coreOptions>
