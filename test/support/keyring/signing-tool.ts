import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A tool that stands in for the real one: the same words, and OpenSSL behind. */
export const good = `
id=$(tail -c 32 "$2.public" | od -An -v -tx1 | tr -d ' \\n')
signature=$(openssl dgst -"\${1/rmd160/ripemd160}" -sign "$2.private" -keyform DER \\
  -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:8 | od -An -v -tx1 | tr -d ' \\n')
echo "sig01: $1 $id $signature"`

/** Puts a program into a directory of tools. @param body of a script for bash */
export function writeTool(folder: string, name: string, body: string, mode = 0o755): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), `#!/bin/bash\n${body}\n`)
  chmodSync(join(folder, name), mode)
}
