/** What the operating system refuses: for the operator of the machine, and no defect. */
import { MixmintError } from '@mixmint/core/kit/errors'

const ANOTHER_USER = 'run it as the user whose files they are (`sudo -u mixmint …`), or give them to this one'
const FILES = 'too many files are open: raise the limit (`ulimit -n`; LimitNOFILE= in the unit)'
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: ANOTHER_USER,
  EPERM: ANOTHER_USER,
  EROFS: 'this disk can only be read: check it (`dmesg`), or use another folder',
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is used up: free some space',
  EMFILE: FILES,
  ENFILE: FILES,
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a file stands where a folder is wanted',
  EISDIR: 'a folder stands where a file is wanted'
}

/** The same error, unless it is a refusal of the system that the operator can do something about: then `system-refused`. */
export function ofSystem (error: unknown): unknown {
  const { code, syscall } = error instanceof Error && !(error instanceof MixmintError) ? error as NodeJS.ErrnoException : {}
  if (code === undefined || syscall === undefined || !Object.hasOwn(ADVICE, code)) return error
  return new MixmintError('system-refused', 'operator', `${(error as Error).message.replace(`${code}: `, '')}: ${ADVICE[code]}`, { cause: error })
}
