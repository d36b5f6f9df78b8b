/**
 * The short known-answer test that every daemon runs at its start, a few milliseconds long: a machine, a library or a
 * build that computes something else must not sign, mix or judge. The full one is `mixmint kat`.
 */
import { finalize } from '@mixmint/core/crypto/rsabssa'
import type { Suite } from '@mixmint/core/crypto/suite'
import { equal, fromHex, utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'

function hex (text: string): Uint8Array {
  return fromHex(text.replace(/\s/g, ''))
}

/** RFC 8032 §7.1, test 3. */
const ED25519 = {
  secret: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
  publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
  signature: `6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac
    18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a`
}

/** RSABSSA-SHA384-PSSZERO-Deterministic at 2048 bits: the first vector of test/vectors/rsabssa.json. */
const RSABSSA = {
  modulus: `b7865b2599b5c85bed83a4a0e1247fa8307f0ba84c0479fb66d58d31d6059eda04f8ed2dfc6266dd8bf28409603cf15f
    f1859fbba194115926ac31e9ee75a16799e7d744ef6ad69e976dc2d83fcab17128b14e1dd7ff1be27fc403a6ef08c447
    7834e6824eaf4c2fb68fcc5828b6065df7fad85cf33fd75dfd792f94dda194ef62e20b360f81c33b494cbdbeb4c51192
    75b5dc2a396e072429ffd4ab9715aab0de505a84a2c0fe5f777e83850208084cff89b5e0184101b31e4c07cb6204b5b4
    3ed547b87166a8f31c7d3a35b34b162b7e133bafbcf66b75c3358e0fbe2d3789290c613329c54b6698d55e3739e92ade
    07c66afec17553c7e61060e6b04b8721`,
  message: '307408ffcc5a39d534a9c9d8b72787bfe49701ed7ecc004fd12236c0d162e7b8',
  blinded: `0d8e26c32b4b4c5f1f2bf468b0d6ce46fe56a7a72eaa88001f655717534689615dc8116b95433194782491895c4f845f
    d7c6f9da5775a5463c5926db713313054f87162ec2b3f508f029d943de5cc70bccd7cd68f8c7df5fbedd5076c9e35b4f
    5e6d09883d921826e85f2c37e1a91852e84f82f2006077c74b9e4d6a03bf6bbdaf5e393a229eab7d03c518f4df38d794
    6d29b5914cd4a8b2e0bf61237718a818285424afe2033ba04341cf239e0615d48b4e7e41f33961fab9f25556c38bcc32
    ab9878e39c6bacb879842d8ade91ed5a8100da16a5a5b43967348bf257a545cdcf79bec77b21afa2a1d7c4771c93312e
    e332024e31d8d5f55c94dcff4df95ed1`,
  inverse: `570030c230dfdcb9759e5fe5dda5b438a91d6787ea6a25860deaf1c220a29f4118f64791a7a7ae18ee1f0dee7b736bca
    b2ef6baddab4bdd938769bca6afd207480e63223f94ea07b6bb9c1b669e41fb82a146742daef3d8c30f8d4e4d0d70911
    096a920af754c999a650efc4ac825884cfa327cc840d9ba77e8f63da1ffb86efe6e9fc024dd964dfdcc66fd09d333382
    54326fb51ebea932aead8b9aa64cd3573319d009e34711c278548944ffb3a088dfb04d0b1edefb766e635bff02a651c0
    63113cbd7e0b5107f257813a1e3870f5cfef1cdb0321e72d54241775d493b6faad3c21c67d7f154981aab21951bfca31
    e49042f4a35caa33d59dfa54131fbc23`,
  blindSignature: `9d2a68ddfe05e65e82ce87176b56385fdf726e26f07cf565b6ebe0e66cd325fcf7f343f2852e5520d592002fb14f568f
    cdfaa6aadb77023b3c6e107c27eb05ce5b84fe97dc208ab578608907da3546f870f4fcd5937e15f1521119fec7de7e64
    cf941729bd9a44b6ea91ea4d975c45ad7a2f76b55f50da5bb7d1b044bf96e73eba280b9e79d16f702151e7212cf005b0
    ab91609d3d0d9925a3e260edb0327745eb50a620e7f277aa39a4e9fc3c65148170cd96119c9734a745d7014028d74717
    7076ba5776ebf9eb3d3f8bb127993a684cb226694754b2289f740e5a4909cd6e002995fa9987649e12cad09cd23bd655
    3571979a2f44259a3afb2267aadb194c`,
  signature: `7f312cedcaa95504ba6699c6c780b6895f320e151e00a3acb083dfa79c6fd79e45d9751254fa55e5b4588ebd3f2062ee
    8bc8377be81dc3ac611f263681ef9b323ff05e2a9601ff6d2645ba23711cae8a24bca841951bd38b98167aaaf77aafae
    976803371d4af893578c90acb5e4ad567d81b600585078f05205de8f77cfdfa496e8a33ada5379acffa2e40b596692b7
    539eaa3233ddaf9faf7513c9351b09babbba73fe0744c7a891973a7bf00de33c2124513c7fe23b9e98af5796efdcebe1
    315960cd81286d1bcd05a4bcaa028f72c28d9aefd867a0774c469b619a47be0072fba2e1d257d58ebc256e2968785d59
    8cf3d5db5daae0f008b7a9799c137061`
}

/** A packet over three hops; the digest is that of test/reference/sphinx.ts, which shares no code with mixnet/sphinx. */
export const PACKET = {
  ephemeral: new Uint8Array(32).fill(0x11),
  keys: [0x21, 0x22, 0x23].map(byte => new Uint8Array(32).fill(byte)),
  addresses: [0x31, 0x32, 0x33].map(byte => new Uint8Array(94).fill(byte)),
  delays: [50, 50, 0],
  message: Uint8Array.from({ length: 3968 }, (_, i) => i & 0xff),
  digest: 'a532c0219f267c2f0d14c2ff5ec77442a4d044aa815aabacd2d3329424a0ff38'
}

function packet (suite: Suite): Uint8Array {
  const hops = PACKET.keys.map((key, i) => ({ publicKey: suite.x25519Base(key), address: PACKET.addresses[i], delay: PACKET.delays[i] }))
  return wrap(suite, PACKET.ephemeral, hops, new Uint8Array(94), PACKET.message)
}

type Known = readonly [name: string, compute: (suite: Suite) => Uint8Array | null, answer: string]

/** Sources: FIPS 180-4; RFC 4231 case 1; FIPS 202; SP 800-38A F.5.1; RFC 8439 A.1; RFC 7748 §5.2; RFC 8032 §7.1; BLAKE2b by Python's hashlib. */
const KNOWN: readonly Known[] = [
  ['sha256', s => s.sha256(utf8('abc')), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['sha384', s => s.sha384(utf8('abc')), `cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163
    1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7`],
  ['hmac-sha256', s => s.hmacSha256(new Uint8Array(20).fill(0x0b), utf8('Hi There')), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  ['blake2b', s => s.blake2b256(Uint8Array.from({ length: 32 }, (_, i) => i), utf8('mixmint')), 'f94ac6cbc83b355a82d30fb63d423050f09b8ca44d782a9e63ed7719107d2f34'],
  ['shake128', s => s.shake128(new Uint8Array(0), 32), '7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26'],
  ['aes-128-ctr', s => s.aes128ctr(hex('2b7e151628aed2a6abf7158809cf4f3c'), hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'), hex('6bc1bee22e409f96e93d7e117393172a')),
    '874d6191b620e3261bef6864990db6ce'],
  ['chacha20', s => s.chacha20(new Uint8Array(32), new Uint8Array(12), new Uint8Array(32)), '76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7'],
  ['x25519', s => s.x25519(hex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'),
    hex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')), 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552'],
  ['ed25519 sign', s => s.ed25519Sign(s.ed25519KeyPair(hex(ED25519.secret)), hex('af82')), ED25519.signature],
  ['rsabssa public', s => s.rsaPublicRaw({ n: hex(RSABSSA.modulus) }, hex(RSABSSA.blindSignature)), RSABSSA.blinded],
  ['rsabssa finalize', s => finalize(s, { n: hex(RSABSSA.modulus) }, hex(RSABSSA.message), hex(RSABSSA.inverse), hex(RSABSSA.blindSignature), 0), RSABSSA.signature],
  ['sphinx wrap', s => s.sha256(packet(s)), PACKET.digest]
]

/** What must hold, and what must not. */
const VERDICTS: ReadonlyArray<readonly [name: string, holds: (suite: Suite) => boolean]> = [
  ['ed25519 verify', s => s.ed25519Verify(hex(ED25519.publicKey), hex('af82'), hex(ED25519.signature)) && !s.ed25519Verify(hex(ED25519.publicKey), hex('af83'), hex(ED25519.signature))],
  ['rsa-pss verify', s => [0, 48].every(salt => s.rsaVerifyPss({ n: hex(RSABSSA.modulus) }, hex(RSABSSA.message), hex(RSABSSA.signature), salt) === (salt === 0))],
  ['xchacha20-poly1305', s => {
    const [key, nonce, text] = [new Uint8Array(32), new Uint8Array(24), utf8('mixmint')]
    const box = s.seal(key, nonce, text, text)
    const opened = s.open(key, nonce, box, text)
    return opened !== null && equal(opened, text) && s.open(key, nonce, box, key) === null
  }],
  ['sphinx peel', s => {
    let passed = packet(s)
    for (const key of PACKET.keys) {
      const peeled = peel(s, key, passed)
      if (peeled.kind === 'exit') return equal(peeled.message, PACKET.message)
      if (peeled.kind !== 'forward') return false
      passed = peeled.packet
    }
    return false
  }]
]

/** @throws selftest-failed (us) naming the primitive that computes something else than it should */
export function selfTest (suite: Suite): void {
  for (const [name, compute, answer] of KNOWN) check(suite, name, () => equal(compute(suite) ?? new Uint8Array(0), hex(answer)))
  for (const [name, holds] of VERDICTS) check(suite, name, () => holds(suite))
}

function check (suite: Suite, name: string, holds: () => boolean): void {
  let cause: unknown
  try {
    if (holds()) return
  } catch (error) {
    cause = error
  }
  throw new MixmintError('selftest-failed', 'us', `the ${suite.name} suite computes ${name} wrongly on this machine; nothing was started. Install again (npm ci) and run \`mixmint kat\``, { cause })
}
