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
export { bootId } from './lib/boot-id.js'
export { networkOf, plainAddress } from './lib/client-address.js'
export {
  type Confinement,
  confinedWords,
  confinement,
  findConfinement,
  type Places,
} from './lib/confinement.js'
export { ConnectionLimit, type Standing } from './lib/connection-limit.js'
export { shareOfDescriptors } from './lib/descriptors.js'
export {
  type DiskFault,
  diskError,
  diskFault,
  diskFaultIn,
  failingHint,
  isFull,
  unwritten,
} from './lib/disk-fault.js'
export {
  fsyncDir,
  fsyncDirSync,
  makeFolder,
  makeFolderSync,
  writeFileAtomic,
} from './lib/durable-file.js'
export { EvictionLog } from './lib/eviction-log.js'
export { keepsLinks, owned, type Place } from './lib/file-system.js'
export { foldedName, freeName } from './lib/free-name.js'
export { type DirectoryGuard, KeptDirectory, type KeptDirectorySpec } from './lib/kept-directory.js'
export { outputOf } from './lib/output-of.js'
export { Pace, type PaceFault, type PaceLimits } from './lib/pace.js'
export { limitWords, type ProcessLimits } from './lib/process-limits.js'
export { ProcessTraffic } from './lib/process-traffic.js'
export { type Rate, RateLimit } from './lib/rate-limit.js'
export { type Head, judgedStream } from './lib/rsync/judged-stream.js'
export { rsyncHere } from './lib/rsync/known-versions.js'
export { type Letters, lettersOf, streamOptionsOf } from './lib/rsync/option-words.js'
export { newestProtocol, StreamHead, type StreamShape } from './lib/rsync/stream-head.js'
export { choicesOf, protocolFor, type StreamOptions } from './lib/rsync/stream-shape.js'
export { type RsyncVersion, rsyncVersion } from './lib/rsync/version.js'
export { syncFileSystem, syncFileSystemSync } from './lib/sync-file-system.js'
export type { Logger } from './log/log.js'
export { printable, printableJson } from './log/printable.js'
export { type Medium, openMedium, type Stranger } from './medium.js'
export { type Probe, program, writable } from './probe.js'
export { report } from './report.js'
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
