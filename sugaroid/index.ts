/** The library: a laptop that speaks to a school server over the wire and knows nothing of its inside. */

export { type Account, openAccount } from './backup/account.js'
export { type Backup, type BackupOptions, backUp, type Sent } from './backup/backup.js'
export { type Place, parseBackupUrl, placeOf } from './backup/place.js'
export { parseRetryAfter } from './backup/question.js'
export { type Restore, type RestoreOptions, restoreJournal } from './backup/restore.js'
export { type DemoOptions, laptopsDay, type Step, StepFailed } from './demo.js'
export { BrokenReply, HomeError, MissingProgram, UsageError } from './errors.js'
export { defaultTimeout, type Patience, TimedOut } from './http.js'
export { type Identity, type IdentityOptions, openIdentity, type Registrant, uidOf } from './identity.js'
export { type ChangeOptions, type Changes, changeJournal } from './journal/change.js'
export { type Digest, digestJournal } from './journal/digest.js'
export { differences, type Inventory, takeInventory } from './journal/inventory.js'
export { type JournalOptions, type MadeJournal, makeJournal, wipeJournal } from './journal/journal.js'
export { datastoreOf, entryPath, listEntries } from './journal/layout.js'
export { generateKey, type KeyType, keyTypes, type PublicKey, publicHalf } from './keys.js'
export { type Attempt, ports, type RegisterOptions, registerLaptop } from './laptop.js'
export { type Identifiers, identifiers, type MachineOptions } from './machine.js'
export {
  type Broken,
  type Call,
  type Refused,
  type Registered,
  type Registration,
  register,
  type Unreachable,
} from './registration.js'
export { type Answered, registerByRest, type Status, statusOf } from './rest.js'
export { parseServer, type Server } from './server.js'
export { readSettings, type Settings } from './settings.js'
export {
  call,
  Fault,
  methodCall,
  ProtocolError,
  parseReply,
  ResponseError,
  type Struct,
  type Value,
} from './xmlrpc.js'
