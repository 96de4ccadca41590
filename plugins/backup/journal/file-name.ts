/** UTF-8 bytes of a name: room is left for `.metadata`, and for a number where the name is taken. */
const longest = 200
const longestExtension = 10

// Microsoft's "Naming Files, Paths, and Namespaces"; the same signs as jarabe's get_file_name() replaces.
const forbidden = /[\\/:*?"<>|\u0000-\u001f\u007f-\u009f]/g
// They turn the direction of text, so that a name would show as another; U+FFFD stands for bytes that are no text.
const unseen = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g
// Old kernels write FAT names in UCS-2.
const beyondUcs2 = /[\u{10000}-\u{10ffff}]/gu
const devices = /^(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?=\.|$)/i

/** Endings by which other computers know what Sugar knows by its type. */
const extensions: Readonly<Record<string, string>> = {
  'application/pdf': '.pdf',
  'application/rtf': '.rtf',
  'application/vnd.oasis.opendocument.text': '.odt',
  'audio/ogg': '.ogg',
  'audio/x-wav': '.wav',
  'image/gif': '.gif',
  'image/jpeg': '.jpg',
  'image/png': '.png',
  'image/svg+xml': '.svg',
  'text/html': '.html',
  'text/plain': '.txt',
  'video/ogg': '.ogv',
}

/**
 * A name for an entry's content that FAT, ext4 and Windows take: from its title, with the ending of its type. It is
 * never empty, hidden, a device, or longer than 200 bytes of UTF-8.
 */
export function fileNameOf({ title, mime, uid }: { title: string; mime: string; uid: string }): string {
  const known = Object.hasOwn(extensions, mime) ? (extensions[mime] ?? '') : ''
  const clean = trimmed(
    title
      .toWellFormed()
      .normalize('NFC')
      .replace(unseen, '')
      .replace(beyondUcs2, '_')
      .replace(forbidden, '_'),
  )
  const [, stem = '', own = ''] = /^(.*?)(\.[A-Za-z0-9]{1,10})?$/u.exec(clean) ?? []
  const extension = known === '' || own.toLowerCase() === known ? own : known
  const base = extension === own ? stem : clean
  const name = trimmed(shortened(base, longest - Math.max(extension.length, longestExtension)))
  const whole = `${name === '' ? `entry ${uid.slice(0, 8)}` : name}${extension}`
  return devices.test(whole) ? `_${whole}` : whole
}

/** Without what FAT drops at the end, and without what hides a file at the beginning. */
const trimmed = (text: string): string => text.replace(/^[\s.]+/u, '').replace(/[\s.]+$/u, '')

function shortened(text: string, limit: number): string {
  let bytes = 0
  let out = ''
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > limit) break
    out += character
  }
  return out
}
