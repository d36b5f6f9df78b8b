/** Everything public has a docstring: what the entry of the package exports, and each field and method of it. */
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const isOurs = (file: string): boolean => [`${ROOT}mixnet/`, `${ROOT}src/`].some(room => file.startsWith(room)) && !file.includes('node_modules')
/** Their names say all there is. */
const PLAIN = /^(constructor|toString|__@.*)$/

/** What of a symbol is public and ours, with the types that it is made of. */
function undocumented (checker: ts.TypeChecker, entry: ts.Symbol): string[] {
  const seen = new Set<ts.Symbol>()
  const missing: string[] = []
  const look = (symbol: ts.Symbol, path: string): void => {
    const target = (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol
    const declaration = target.declarations?.find(({ kind }) => kind !== ts.SyntaxKind.Constructor)
    if (seen.has(target) || declaration === undefined || !isOurs(declaration.getSourceFile().fileName)) return
    seen.add(target)
    if (target.getDocumentationComment(checker).length === 0 && target.getJsDocTags(checker).length === 0) missing.push(path)
    if ((target.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)) === 0) return
    for (const member of checker.getDeclaredTypeOfSymbol(target).getProperties()) {
      const at = member.valueDeclaration ?? member.declarations?.[0]
      const hidden = at === undefined || (ts.isClassElement(at) && (at.name === undefined || ts.isPrivateIdentifier(at.name) || (ts.getCombinedModifierFlags(at) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected | ts.ModifierFlags.Override)) !== 0))
      if (!hidden && !PLAIN.test(member.name)) look(member, `${path}.${member.name}`)
    }
  }
  for (const exported of checker.getExportsOfModule(entry)) look(exported, exported.name)
  return missing
}

it('nothing public is without a docstring', () => {
  const file = `${ROOT}mixnet/index.ts`
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile) as { config: { compilerOptions: object } }
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT)
  const program = ts.createProgram([file], { ...options, noEmit: true })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file)
  const entry = source === undefined ? undefined : checker.getSymbolAtLocation(source)
  if (entry === undefined) throw new Error('the entry of the package was not found')
  expect(checker.getExportsOfModule(entry).length).toBeGreaterThan(20)
  expect(undocumented(checker, entry)).toEqual([])
})
