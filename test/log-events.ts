/** What daemons may log, read from the sources: for docs/reference/logs.md. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { LOG_ADVICE } from './log-advice.ts'

const LEVELS = ['info', 'warn', 'error'] as const

export interface LogEvent {
  readonly level: typeof LEVELS[number]
  /** … stands for what differs; '…' alone for the text of an error. */
  readonly message: string
  /** '…': that of the error. */
  readonly code: string
  readonly fields: readonly string[]
  readonly advice: string
}

/** The one file that hands on what others log. */
const ADAPTERS = ['service/log.ts', 'nodes/observe.ts']

/** @throws when an event has no advice, or advice no event */
export function logEvents (root: string): LogEvent[] {
  const files = ['mixnet', 'nodes'].flatMap(room => readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !/node_modules|dist\/|examples\//.test(name)).map(name => join(root, room, name)))
    .filter(file => !ADAPTERS.some(adapter => file.endsWith(adapter)))
  const found = files.sort().flatMap(file => eventsOf(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)))
  const events = [...new Map(found.map(event => [`${event.level} ${event.message} ${event.code} ${event.fields.join()}`, event])).values()]
  const known = new Set(events.map(({ message, code }) => nameOf(message, code)))
  const stale = Object.keys(LOG_ADVICE).filter(name => !known.has(name))
  const missing = [...known].filter(name => LOG_ADVICE[name] === undefined)
  if (stale.length + missing.length > 0) throw new Error(`test/log-advice.ts is without ${JSON.stringify(missing)}, and has advice for what is not logged: ${JSON.stringify(stale)}`)
  return events.map(event => ({ ...event, advice: LOG_ADVICE[nameOf(event.message, event.code)] }))
    .sort((a, b) => LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level) || (a.message < b.message ? -1 : 1))
}

/** Of the texts of errors there may be several: each is called by its code. */
function nameOf (message: string, code: string): string {
  return message === '…' ? `… ${code}`.trim() : message
}

function eventsOf (source: ts.SourceFile): Array<Omit<LogEvent, 'advice'>> {
  const events: Array<Omit<LogEvent, 'advice'>> = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && isLog(node.expression.expression)) {
      const level = LEVELS.find(level => level === (node.expression as ts.PropertyAccessExpression).name.text)
      const [message, fields] = node.arguments
      if (level !== undefined && message !== undefined) for (const text of texts(message, source)) events.push({ level, message: text, ...fieldsOf(fields) })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return events
}

function isLog (receiver: ts.Expression): boolean {
  return /(^|[.#])log$|^logOf\(/i.test(receiver.getText())
}

/** What an expression may say. */
function texts (node: ts.Expression, source: ts.SourceFile): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text]
  if (ts.isConditionalExpression(node)) return [...texts(node.whenTrue, source), ...texts(node.whenFalse, source)]
  if (ts.isTemplateExpression(node)) return [node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')]
  if (ts.isIdentifier(node) && /^[A-Z_]+$/.test(node.text)) {
    for (const statement of source.statements) {
      if (!ts.isVariableStatement(statement)) continue
      const declared = statement.declarationList.declarations.find(({ name }) => name.getText() === node.text)
      if (declared?.initializer !== undefined) return texts(declared.initializer, source)
    }
  }
  return ['…']
}

function fieldsOf (node: ts.Expression | undefined): { code: string, fields: string[] } {
  if (node === undefined || !ts.isObjectLiteralExpression(node)) return { code: '', fields: node === undefined ? [] : ['…'] }
  const named = node.properties.map(property => ts.isSpreadAssignment(property) ? { name: '…', value: undefined } : { name: property.name.getText(), value: ts.isPropertyAssignment(property) ? property.initializer : undefined })
  const code = named.find(({ name }) => name === 'code')
  return {
    code: code === undefined ? '' : code.value !== undefined && ts.isStringLiteral(code.value) ? code.value.text : '…',
    fields: [...new Set(named.map(({ name }) => name).filter(name => name !== 'code'))]
  }
}
