import { integer, path, port, text } from '../../core/api.js'

export const options = {
  'rsync-port': port({
    help: 'Port where laptops fetch builds and other files; rsync expects 873.',
    default: 873,
  }),
  'rsync-root': path({
    help: 'Directory of what is published: each directory below its "pub" is a module, builds are in "pub/builds".',
    default: '',
    defaultText: '<root>/rsync',
  }),
  'rsync-packed': path({
    help: 'Directory in which packed builds are put, to be published with "rsync refresh".',
    default: '',
    defaultText: '<rsync-root>/xobuilds-packed',
  }),
  'rsync-motd': text({
    help: 'A line that everyone is shown who connects.',
    default: '',
  }),
  'rsync-connections': integer({
    help: 'Transfers at a time; who comes beyond is told to come again.',
    default: 64,
    min: 1,
    max: 10_000,
  }),
  'rsync-connections-each': integer({
    help: 'Transfers at a time of one network address; a class behind one router is one address.',
    default: 48,
    min: 1,
    max: 10_000,
  }),
  'rsync-bandwidth': integer({
    help: 'Kilobytes a second of all transfers together, shared among them. 0: no limit.',
    default: 0,
    min: 0,
    max: 100_000_000,
    placeholder: 'KB',
  }),
  'rsync-tree-limit': integer({
    help: 'Megabytes that a build may have when it is unpacked.',
    default: 16_384,
    min: 1,
    max: 1_000_000,
    placeholder: 'MB',
  }),
}
