const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/**
 * The picture in a `preview`: PNG bytes, or base64 of them in old entries (docs/reference/protocols.md: backup, the
 * Journal on disk).
 * @returns undefined when it is empty or no PNG
 */
export function pngOf(preview: Buffer): Buffer | undefined {
  if (isPng(preview)) return preview
  // "iVBOR" is the beginning of every PNG in base64: what begins otherwise need not be decoded.
  const text = preview.toString('latin1').trimStart()
  if (!text.startsWith('iVBOR')) return undefined
  const decoded = Buffer.from(text, 'base64')
  return isPng(decoded) ? decoded : undefined
}

const isPng = (bytes: Buffer): boolean => bytes.subarray(0, signature.length).equals(signature)
