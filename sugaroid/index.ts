/** The library: a laptop that speaks to a school server over the wire and knows nothing of its inside. */

export { activationPort, askForLease, askForRtcReset, type LeaseAnswer } from './antitheft/activation.js'
export { checkStick, readBundle } from './antitheft/bundle.js'
export { CanonicalReader, NotCanonical } from './antitheft/canonical.js'
export { checkDelegation } from './antitheft/delegation.js'
export { askOats, type OatsQuestion, type OatsReply } from './antitheft/deterrence.js'
export { checkDeveloperKey } from './antitheft/developer-key.js'
export { checkLease } from './antitheft/lease.js'
export type { LockedLaptop, Signee } from './antitheft/locked-laptop.js'
export { type Moment, momentOf } from './antitheft/moment.js'
export { checkOats, type OatsContent, readOats, type ValidOats } from './antitheft/oats.js'
export { type AntitheftKey, readAntitheftKey } from './antitheft/public-key.js'
export { checkRtcReset, type RtcRequest, type ValidReset } from './antitheft/rtc-reset.js'
export type { Rejected, Valid, Verdict } from './antitheft/verdict.js'
export { type Account, openAccount } from './backup/account.js'
export { type Backup, type BackupOptions, backUp, type Sent } from './backup/backup.js'
export { type Place, parseBackupUrl, placeOf } from './backup/place.js'
export { parseRetryAfter } from './backup/question.js'
export { type Restore, type RestoreOptions, restoreJournal } from './backup/restore.js'
export { type DemoOptions, farewell, laptopsDay, type Step, StepFailed } from './demo.js'
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
export { type Leave, leaveServer } from './leave.js'
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
export { type Upgrade, type UpgradeOptions, upgrade, upgradePort } from './upgrade/upgrade.js'
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
