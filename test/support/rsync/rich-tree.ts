import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import type { Test } from 'tap'
import { lacks } from '../needs.js'

/** What a tree of an operating system may hold, and more, made by a shell that is root's. */
const script = String.raw`
set -e
umask 022
mkdir -p bin etc/deep/down home/olpc empty tmp sticky setgid shut
echo 'a shell' > bin/sh; ln bin/sh bin/bash; ln bin/sh etc/deep/down/rbash
echo su > bin/su; chown 0:10 bin/su; chmod 6755 bin/su
mknod console c 5 1; chmod 600 console
mknod disk b 259 70000; chown 0:6 disk
mkfifo pipe; mkfifo pipe2; ln pipe pipe3
echo shadow > etc/shadow; chmod 000 etc/shadow
echo hidden > shut/file; chmod 640 shut/file; chmod 000 shut
chmod 2775 setgid; chmod 1777 sticky tmp
chown -R 500:500 home/olpc; echo mine > home/olpc/diary; chown 4000000000:3000000000 home/olpc/diary
ln -s /etc/passwd absolute; ln -s nowhere dangling; ln -s ../../.. up; ln dangling dangling2
ln -s "$(printf 'long%.0s' $(seq 900))" far; chown -h 77:88 dangling
touch -- "$(printf 'new\nline')" 'quo"te' "apo'strophe" 'back\slash' 'two  words ' ' before' '-rf' '#hash' '*' '%f' '\134'
touch -- "$(printf 'bytes\377\376')" "$(printf 'n%.0s' $(seq 255))" 'ünïcode' "$(printf '\001control')"
mkdir -p "$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120))"
echo deep > "$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120))/file"
head -c 300000 /dev/urandom > etc/random; head -c 512 /dev/zero > etc/block; : > etc/nothing
touch -d '1969-12-31 23:59:58' etc/old; touch -d '2100-01-01 00:00:00' etc/new
touch -d '2010-10-10 10:10:10.123456789' bin/sh
touch -h -d '2001-02-03 04:05:06' absolute up; touch -d '2002-02-02' empty etc shut sticky
touch -d '2003-03-03 03:03:03' .
`

/** Makes the tree. @returns whether that could be done; a test goes on only then */
export async function makeRichTree(t: Pick<Test, 'fail' | 'pass'>, folder: string): Promise<boolean> {
  if (process.geteuid?.() !== 0) {
    lacks(t, 'needs root', 'only root can make devices and files of other users')
    return false
  }
  await mkdir(folder, { recursive: true })
  const { status, stderr } = spawnSync('sh', ['-c', script], { cwd: folder, encoding: 'latin1' })
  if (status !== 0) throw new Error(stderr)
  return true
}
