import { choice, flag, integer, path, port } from '../../core/api.js'

const keep = (what: string, value: number) =>
  integer({ help: `${what} 0 keeps none for that reason.`, default: value, min: 0, max: 100_000 })

export const options = {
  'backup-path': path({
    help: 'Directory of the backups, on one file system; in the root, if not said.',
    default: '',
    defaultText: '<root>/backup',
  }),
  'backup-slots': integer({
    help: 'Laptops that back up or restore at a time; the others are told when to come again.',
    default: 8,
    min: 1,
    max: 1000,
  }),
  'backup-transport': choice({
    help: 'How laptops come: over the ssh server built in here, or over the OpenSSH of this machine.',
    default: 'ssh2',
    of: ['ssh2', 'sshd'],
  }),
  'backup-ssh-port': port({
    help: 'Port of ssh. The built-in server listens on it; with "sshd" it is what laptops are told. Laptops of an OLPC XS know only 22.',
    default: 2222,
  }),
  'backup-xs-port': port({
    help: 'A second port for the question whether a backup may start: laptops of an OLPC XS ask on 80. 0: none.',
    default: 0,
  }),
  'backup-authorized-keys': path({
    help: 'File in which OpenSSH looks for the keys of laptops, for one that cannot ask this server; not said, none is written.',
    default: '',
  }),
  'backup-quota': integer({
    help: 'Megabytes of the disk that one learner may take, history included; a warning comes at four fifths. 0: no limit.',
    default: 0,
    min: 0,
    max: 10_000_000,
    placeholder: 'MB',
  }),
  'backup-quota-all': integer({
    help: 'Megabytes of all backups together; a warning comes at nine tenths. 0: no limit but the disk.',
    default: 0,
    min: 0,
    max: 1_000_000_000,
    placeholder: 'MB',
  }),
  'backup-reserve': integer({
    help: 'Percentage of the disk that is kept free: no backup begins below it.',
    default: 5,
    min: 0,
    max: 90,
    placeholder: 'PERCENT',
  }),
  'backup-load': integer({
    help: 'Load per processor above which no backup begins.',
    default: 8,
    min: 1,
    max: 1000,
    placeholder: 'LOAD',
  }),
  'backup-keep-last': keep('Snapshots of a learner that are kept, the newest ones.', 10),
  'backup-keep-daily': keep('Days of which the last snapshot is kept.', 30),
  'backup-keep-weekly': keep('Weeks of which the last snapshot is kept.', 12),
  'backup-keep-monthly': keep('Months of which the last snapshot is kept.', 36),
  'backup-drill': flag({
    help: 'Restore a few Journals each night into a scratch folder and compare them.',
    default: false,
  }),
}
