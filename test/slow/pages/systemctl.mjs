// Stands in for systemctl: asks the test, over its socket, and ends when that has done it.
import { createConnection } from 'node:net'

const [socket, ...words] = process.argv.slice(2)
const manager = createConnection(socket)
let said = ''
manager.on('data', chunk => { said += chunk })
manager.on('close', () => {
  if (said === 'done\n') return
  process.stderr.write(`systemctl: ${said}`)
  process.exitCode = 1
})
manager.write(`${[process.env.HOST, ...words].join('\t')}\n`)
