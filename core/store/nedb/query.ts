import { StoreError } from '../../errors.js'
import type { CollectionSpec, Doc, Page, Where } from '../contract.js'
import { checkIndexed } from '../schema.js'

type Query = Record<string, unknown>

/** What NeDB is asked for. Only equality with indexed fields: an operator of NeDB's can come in nowhere. */
export function queryOf<D extends Doc>(spec: CollectionSpec<D>, where: Where<D>): Query {
  checkIndexed(spec, Object.keys(where))
  const query: Query = {}
  for (const [field, value] of Object.entries(where)) {
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new StoreError('STORE_INVALID', `"${field}" is compared with text or a number`)
    }
    query[field === spec.key ? '_id' : `i.${field}`] = value
  }
  return query
}

/** The same, for what comes behind the page before. */
export function pageQuery<D extends Doc>(
  spec: CollectionSpec<D>,
  where: Where<D>,
  { by, after }: Page<D>,
): Query {
  const query = queryOf(spec, where)
  const key = after?.[spec.key]
  if (by === undefined || by === spec.key) {
    return after === undefined ? query : { ...query, $and: [{ _id: { $gt: key } }] }
  }
  checkIndexed(spec, [by])
  const field = `i.${by}`
  const value: unknown = after?.[by]
  const behind = { $or: [{ [field]: { $gt: value } }, { [field]: value, _id: { $gt: key } }] }
  return { ...query, $and: [{ [field]: { $exists: true } }, ...(after === undefined ? [] : [behind])] }
}

export const orderOf = <D extends Doc>(spec: CollectionSpec<D>, { by }: Page<D>): Record<string, 1> =>
  by === undefined || by === spec.key ? { _id: 1 } : { [`i.${by}`]: 1, _id: 1 }
