import type { Story } from './explain.js'
import { fold } from './kernel/hook.js'

/**
 * `sugar-server status`: each plugin adds what there is to tell of its work now, under its own name. What is wrong
 * belongs into `ctx.health`.
 */
export const report = fold<Story, void>('core/report@1', { seconds: 2 })
