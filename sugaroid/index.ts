/** The library: a laptop that speaks to a school server over the wire and knows nothing of its inside. */
export { BrokenReply, HomeError, UsageError } from './errors.js'
export { defaultTimeout, type Patience, TimedOut } from './http.js'
export { type Identity, type IdentityOptions, openIdentity, type Registrant, uidOf } from './identity.js'
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
