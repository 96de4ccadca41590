import { join } from 'node:path'

/** Where the door program finds the server. */
export const doorSocket = (root: string): string => join(root, 'run', 'backup-door.sock')
