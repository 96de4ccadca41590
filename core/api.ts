/**
 * Everything that a plugin imports from the house. docs/reference/api.md is made from this file.
 */

export type { Argument, Call, Column, CommandSpec, Commands, Delivery, InputFile } from './command.js'
export type { CoreConfig } from './config/core-options.js'
export {
  address,
  type Config,
  choice,
  flag,
  integer,
  list,
  type Option,
  type Options,
  path,
  paths,
  port,
  seconds,
  secret,
  text,
} from './config/option.js'
export {
  asError,
  ConfigError,
  type ErrorCode,
  PluginError,
  RequestError,
  StoreError,
  SugarError,
  SystemError,
  systemCode,
} from './errors.js'
export { type Chapter, explain, type Story } from './explain.js'
export { greeting, type Reachable } from './greeting.js'
export type { Bindable } from './http/bind.js'
export { bodyLimit, readJson, readText } from './http/body.js'
export { clientText, escapeHtml, logFault, requestId } from './http/edge.js'
export type { Context, PluginHttp, PrepareContext } from './kernel/context.js'
export {
  type Awaitable,
  type Fold,
  fold,
  type Gate,
  gate,
  type News,
  news,
  type TapOptions,
} from './kernel/hook.js'
export { definePlugin, type Plugin, type PluginSpec } from './kernel/plugin.js'
export { type Optional, type Services, type Token, type Tokens, token } from './kernel/token.js'
export { outputOf } from './lib/output-of.js'
export { rsyncHere, rsyncVersion } from './lib/rsync-versions.js'
export type { Logger } from './log/log.js'
export { printable, printableJson } from './log/printable.js'
export { type Medium, openMedium, type Stranger } from './medium.js'
export { type Probe, program, writable } from './probe.js'
export { report } from './report.js'
export { makeFolders } from './root.js'
export {
  type Change,
  type Collection,
  type CollectionSpec,
  type Doc,
  each,
  type Migration,
  type Page,
  Store,
  type Stored,
  type StoreStatus,
  type Where,
} from './store/contract.js'
// For drivers of other stores.
export {
  changed,
  checkIndexed,
  checkKey,
  docOf,
  migrate,
  type Row,
  rowOf,
  versionOf,
} from './store/schema.js'
export { removeTree, unpack } from './unpack.js'
