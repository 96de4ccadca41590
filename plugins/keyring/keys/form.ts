/** OIDs of RSA as they stand near the beginning of a PKCS#8 or SPKI file. */
const rsaIdentifier = Buffer.from('06092a864886f70d010101', 'hex')

/**
 * What a file is that holds a key in a form which no laptop and no tool of bios-crypto reads, and how to turn it into
 * one; undefined for anything else.
 */
export function foreignForm(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 64))
  const text = start.toString('latin1')
  if (/^(?:ssh-|ecdsa-|-----BEGIN OPENSSH)/.test(text)) return 'is a key of ssh, not of anti-theft'
  const isPem = text.startsWith('-----BEGIN ')
  if (!isPem && !start.subarray(0, 48).includes(rsaIdentifier)) return undefined
  if (isPem && !/^-----BEGIN (?:RSA |ENCRYPTED )?(?:PUBLIC|PRIVATE) KEY/.test(text))
    return 'is a PEM file of something else'
  const form = isPem ? 'PEM' : 'DER'
  const isPublic = isPem ? text.includes('PUBLIC KEY') : start[4] === 0x30
  if (isPublic) {
    const from = text.startsWith('-----BEGIN RSA') ? '-RSAPublicKey_in' : '-pubin'
    return `is ${isPem ? 'a PEM file' : 'in SPKI form'}; convert it with "openssl rsa ${from} -inform ${form} -in FILE -RSAPublicKey_out -outform DER -out NAME.public"`
  }
  return `is ${isPem ? 'a PEM file' : 'in PKCS#8 form'}; convert it with "openssl rsa -inform ${form} -in FILE -traditional -outform DER -out NAME.private"`
}
