/** What a child may have made an entry with. */
export interface Activity {
  /** The name in the titles Sugar gives, where the child gives none. */
  readonly name: string
  readonly bundle: string
  readonly mimeType: string
  /** What the data is like for a packer: text shrinks, a packed form (pictures, sound, zip) does not. */
  readonly data: 'text' | 'packed'
}

const activity = (name: string, bundle: string, mimeType: string, data: Activity['data']): Activity => ({
  name,
  bundle,
  mimeType,
  data,
})

/** As many that write text as that write packed data. */
export const activities: readonly [Activity, ...Activity[]] = [
  activity('Write', 'org.laptop.AbiWordActivity', 'application/vnd.oasis.opendocument.text', 'packed'),
  activity('Paint', 'org.laptop.Oficina', 'image/png', 'packed'),
  activity('Record', 'org.laptop.RecordActivity', 'image/jpeg', 'packed'),
  activity('Record', 'org.laptop.RecordActivity', 'video/ogg', 'packed'),
  activity('Memorize', 'org.laptop.Memorize', 'application/x-memorize-project', 'packed'),
  activity('Read', 'org.laptop.sugar.ReadActivity', 'application/pdf', 'packed'),
  activity('Browse', 'org.laptop.WebActivity', 'application/json', 'text'),
  activity('TurtleArt', 'org.laptop.TurtleArtActivity', 'application/x-turtle-art', 'text'),
  activity('Pippy', 'org.laptop.Pippy', 'text/x-python', 'text'),
  activity('Calculate', 'org.laptop.Calculate', 'text/plain', 'text'),
  activity('Chat', 'org.laptop.Chat', 'text/plain', 'text'),
  activity('Implode', 'com.jotaro.ImplodeActivity', 'application/json', 'text'),
]
