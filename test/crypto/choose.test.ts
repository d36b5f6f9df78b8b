/** The choice of a suite: native where it is, pure where it is not, and never pure because of another error. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { loadNativeSuite } from '@mixmint/core/crypto/native'
import { build } from 'vite'
import { describe, expect, it } from 'vitest'

const entry = fileURLToPath(new URL('../../src/crypto/choose.ts', import.meta.url))

async function failure (code: string | undefined, message: string): Promise<never> {
  throw Object.assign(new Error(message), code === undefined ? {} : { code })
}

describe('the choice of a suite', () => {
  it('is native on Node', async () => {
    expect((await defaultSuite()).name).toBe('native')
  })

  it('has no native suite where sodium-native is not installed or has no binary', async () => {
    expect(await loadNativeSuite(async () => await failure('ERR_MODULE_NOT_FOUND', "Cannot find package 'sodium-native' imported from /x/native.ts"))).toBeNull()
    expect(await loadNativeSuite(async () => await failure('MODULE_NOT_FOUND', "Cannot find module 'sodium-native'\nRequire stack:"))).toBeNull()
    expect(await loadNativeSuite(async () => await failure('ADDON_NOT_FOUND', "Cannot find addon '.' imported from 'file:///x/binding.js'"))).toBeNull()
    // What Node really says of a package that is not there.
    const absent = 'sodium-native-which-is-not-installed'
    const error: unknown = await import(absent).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: expect.stringMatching(/MODULE_NOT_FOUND/) })
  })

  it('passes on every other error', async () => {
    const others: Array<[string | undefined, string]> = [
      ['CANNOT_LOAD', "Cannot load addon 'file:///x.node'"], ['ERR_DLOPEN_FAILED', 'GLIBC_2.99 not found'],
      ['ERR_MODULE_NOT_FOUND', "Cannot find package 'require-addon' imported from /x/node_modules/sodium-native/binding.js"],
      ['EMFILE', 'too many open files'], [undefined, 'Cannot find package \'sodium-native\'']
    ]
    for (const [code, message] of others) {
      await expect(loadNativeSuite(async () => await failure(code, message))).rejects.toThrow(message)
    }
  })

  it('leaves nothing of Node in a browser bundle', async () => {
    const result = await build({
      configFile: false, logLevel: 'silent',
      build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'bundle' } }
    })
    const outputs = (Array.isArray(result) ? result : [result]).flatMap(r => 'output' in r ? r.output : [])
    const code = outputs.map(o => o.type === 'chunk' ? o.code : '').join('\n')
    expect(code).toContain("name: \"pure\"")
    expect(code.match(/.*(node:|sodium-native|privateEncrypt|__vite-browser-external).*/g)).toBeNull()
    // The native suite does contain what is looked for.
    expect(readFileSync(fileURLToPath(new URL('../../src/crypto/native.ts', import.meta.url)), 'utf8')).toMatch(/node:|sodium-native|privateEncrypt/)
  })
})
