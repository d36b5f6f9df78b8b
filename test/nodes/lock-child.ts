/** A process of lock.test.ts: takes the lock of a folder, says how that went, and holds it until it is killed or told to end. */
import { asMixmintError } from '@mixmint/core/kit/saga'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { lockFolder } from '../../nodes/store/lock.ts'

const store = await openLmdb(process.argv[2])
process.once('message', () => {
  void lockFolder(store).then(() => 'locked', (error: unknown) => asMixmintError(error).code).then(said => process.send?.(said))
})
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
