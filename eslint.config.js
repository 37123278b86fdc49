import tseslint from 'typescript-eslint';

/** The import arrows of docs/ARCHITECTURE.md: a folder may not import what stands above or beside it. */
const forbid = (files, patterns, message) => ({
  files,
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: [{ group: patterns, message, allowTypeImports: false }] },
    ],
  },
});

export default tseslint.config(
  {
    ignores: [
      'dist',
      'build',
      'node_modules',
      '.tools',
      '**/*.js',
      '**/*.mjs',
      'examples/skeleton-server',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      'preserve-caught-error': 'error',
      eqeqeq: 'error',
    },
  },
  forbid(
    ['src/transfer/**', 'src/plan/**', 'src/verify/**', 'src/unpack/**', 'src/publish/**'],
    [
      '**/fetchers/**',
      '**/http/**',
      '**/cli/**',
      '**/sidecar/**',
      '**/fetch-model*',
      'got',
      '@aws-sdk/*',
      '@google-cloud/*',
    ],
    'The engine knows no scheme and no HTTP client; lanes are handed to it.',
  ),
  forbid(
    ['src/fetchers/**'],
    [
      '**/transfer/**',
      '**/plan/**',
      '**/verify/**',
      '**/unpack/**',
      '**/publish/**',
      '**/cli/**',
      '**/sidecar/**',
      '**/fetch-model*',
      'got',
    ],
    'A fetcher says where bytes are: it never moves, checks or writes them.',
  ),
  forbid(
    ['src/http/**'],
    [
      '**/fetchers/**',
      '**/plan/**',
      '**/publish/**',
      '**/unpack/**',
      '**/cli/**',
      '**/sidecar/**',
      '**/fetch-model*',
    ],
    'The control plane stands below the fetchers.',
  ),
  forbid(
    ['src/net/**'],
    [
      '**/fetchers/**',
      '**/http/**',
      '**/transfer/**',
      '**/plan/**',
      '**/publish/**',
      '**/unpack/**',
      '**/cli/**',
      'got',
    ],
    'net is a leaf.',
  ),
  {
    files: ['test/**', 'bench/**', 'scripts/**', 'examples/**'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['test', 'describe', 'it', 'suite'], package: 'node:test' },
          ],
        },
      ],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
);
