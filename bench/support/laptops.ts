import { madeUpKey } from '../../test/support/ssh-keys.js'

let made = 0

/** The XML-RPC request of a laptop that never registered before. */
export function newLaptop(): string {
  made += 1
  const serial = `SHC${made.toString(16).toUpperCase().padStart(8, '0')}`
  const hex = made.toString(16).padStart(12, '0')
  const params = [serial, `Learner ${made}`, `00000000-0000-4000-8000-${hex}`, madeUpKey()]
  const values = params.map((text) => `<param><value><string>${text}</string></value></param>`).join('')
  return `<?xml version='1.0'?><methodCall><methodName>register</methodName><params>${values}</params></methodCall>`
}
