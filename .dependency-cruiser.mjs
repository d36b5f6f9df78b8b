/** Import direction: test, bench → lab → nodes → mixnet → src; never back, no cycles (ARCHITECTURE.md, "The map"). */
const not = (name, from, to, comment) => ({ name, severity: 'error', comment, from: { path: from }, to: { path: to } })

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    not('src-is-the-floor', '^src/', '^(mixnet|nodes|lab|test|bench)/', 'src imports nothing of ours'),
    not('mixnet-on-src', '^mixnet/', '^(nodes|lab|test|bench)/', 'mixnet imports only src'),
    not('mixnet-knows-no-money', '^mixnet/', '^src/cash/', 'packets know nothing of money'),
    not('nodes-below-lab-and-tests', '^nodes/', '^(lab|test|bench)/', 'the program does not import what measures and tests it'),
    not('lab-below-tests', '^lab/', '^(test|bench)/', 'the lab does not import its tests'),
    not('crypto-below-cash', '^src/(kit|crypto)/', '^src/cash/', 'tools do not know the rules of money'),
    not('kit-is-lowest', '^src/kit/', '^src/(?!kit/)', 'kit imports only kit')
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] }
  }
}
