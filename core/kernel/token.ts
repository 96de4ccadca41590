/**
 * The name of a service, its type carried along.
 *
 * Tokens are compared by id, so two copies of a contract's module mean the same service. The id ends in the
 * contract's number: a change that breaks users of the service makes it `id/users@2`.
 */
export interface Token<T> {
  readonly id: `${string}/${string}@${number}`
  /** Never set; it carries the type. */
  readonly type?: T
}

export type Tokens = Readonly<Record<string, Token<unknown>>>

/** The services that a record of tokens stands for. */
export type Services<T extends Tokens> = { readonly [K in keyof T]: T[K] extends Token<infer S> ? S : never }

/** The same, where each may be absent. */
export type Optional<T extends Tokens> = { readonly [K in keyof T]?: Services<T>[K] | undefined }

const form = /^[a-z][a-z0-9-]*\/[a-z][a-z0-9.-]*@[1-9][0-9]*$/

export const isTokenId = (id: unknown): id is Token<unknown>['id'] => typeof id === 'string' && form.test(id)

/** @throws TypeError when the id is not `plugin/service@1` */
export function token<T>(id: Token<T>['id']): Token<T> {
  if (!isTokenId(id)) throw new TypeError(`a token's id looks like "id/users@1", not "${String(id)}"`)
  return Object.freeze({ id })
}
