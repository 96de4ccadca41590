// Who may import whom. The house's floor plan is in docs/guide/house.md.
module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'a file that imports itself through others cannot be read alone',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-knows-no-plugin',
      comment: 'the house must stand without any plugin',
      severity: 'error',
      from: { path: '^core/' },
      to: { path: '^(plugins|sugaroid|test|bench)/' },
    },
    {
      name: 'plugins-use-the-api',
      comment: 'a plugin imports core/api, and nothing else of core',
      severity: 'error',
      from: { path: '^plugins/', pathNot: '^plugins/backup/doors/' },
      to: { path: '^core/', pathNot: '^core/api\\.ts$' },
    },
    {
      name: 'doors-are-light',
      comment: 'what sshd starts for each laptop takes what it needs from core/lib: core/api loads too much',
      severity: 'error',
      from: { path: '^plugins/backup/doors/' },
      to: { path: '^core/', pathNot: '^core/lib/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'plugins-meet-in-public',
      comment: "a plugin imports another plugin's public.ts only",
      severity: 'error',
      from: { path: '^plugins/([^/]+)/' },
      to: { path: '^plugins/', pathNot: ['^plugins/$1/', '^plugins/[^/]+/public\\.ts$'] },
    },
    {
      name: 'sugaroid-speaks-only-the-wire',
      comment: 'a laptop in software shares no code with the server, so that it can find its faults',
      severity: 'error',
      from: { path: '^sugaroid/' },
      to: { path: '^(core|plugins|test|bench)/' },
    },
    {
      name: 'the-kernel-stands-alone',
      comment: 'the kernel knows neither the command line nor where plugins are found',
      severity: 'error',
      from: { path: '^core/kernel/' },
      to: { path: '^core/(cli|loading|bin)/' },
    },
    {
      name: 'nothing-undeclared',
      severity: 'error',
      from: { path: '^(core|plugins|sugaroid)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: '@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default'] },
  },
}
