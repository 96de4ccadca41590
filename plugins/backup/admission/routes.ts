import type { Context } from 'koa'
import type Router from 'koa-router'
import { escapeHtml } from '../../../core/api.js'
import type { Admission } from './admission.js'
import type { Form } from './question.js'

/**
 * Where laptops ask whether they may back up now: the addresses of this project's laptops, and of those of OLPC XS
 * (docs/reference/protocols.md: backup, Asking for permission). HEAD only asks, and keeps no slot.
 */
export function serveAdmission(router: Router, admission: Pick<Admission, 'decide'>): void {
  router.get('/backup/uuid/available/:name', (ctx) => answer(ctx, admission, 'uuid'))
  router.get('/backup/1/available/:name', (ctx) => answer(ctx, admission, 'serial'))
}

async function answer(
  ctx: Context & { params: Record<string, string> },
  admission: Pick<Admission, 'decide'>,
  form: Form,
): Promise<void> {
  const { journal } = ctx.query
  const { status, retryAfter, reason } = await admission.decide({
    who: ctx.params.name ?? '',
    form,
    // Several are no digest, and refused as such.
    digest: Array.isArray(journal) ? '' : journal,
    address: ctx.ip,
    peek: ctx.method === 'HEAD',
  })
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  if (retryAfter !== undefined) ctx.set('Retry-After', String(retryAfter))
  if (status === 204) return
  ctx.type = 'html'
  ctx.body = status === 200 ? '' : `<!DOCTYPE html><title>${status}</title><p>${escapeHtml(reason)}</p>\n`
}
