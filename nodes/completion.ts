/**
 * Completion of commands by shells, made from the commands themselves: each script holds, for every command, the words that can
 * follow it. Values are left to the shell, which completes files.
 */
import type { Command } from 'commander'

interface Words { readonly path: string, readonly words: ReadonlyArray<{ readonly word: string, readonly what: string }> }

/** Of every command by its path (`wallet buy`, '' for the program): subcommands, options, and arguments of which there are few. */
function wordsOf (command: Command, path = ''): Words[] {
  const first = (text: string): string => text.split(/[;:.]/)[0]
  const inherited = path.includes(' ') ? command.parent?.options ?? [] : []
  const own = [
    ...command.commands.map(each => ({ word: each.name(), what: first(each.description()) })),
    ...command.registeredArguments.flatMap(({ argChoices = [], description }) => argChoices.map(word => ({ word, what: first(description) }))),
    ...[...command.options, ...inherited].flatMap(({ long, description }) => long === undefined || long === null ? [] : [{ word: long, what: first(description) }])
  ]
  return [{ path, words: own }, ...command.commands.flatMap(each => wordsOf(each, `${path} ${each.name()}`.trim()))]
}

export function completion (shell: 'bash' | 'zsh' | 'fish', program: Command): string {
  const all = wordsOf(program)
  const names = [...new Set(program.commands.flatMap(command => [command.name(), ...command.commands.map(each => `${command.name()} ${each.name()}`)]))]
  return shell === 'fish' ? fish(all) : shell === 'zsh' ? `${ZSH}\n${bash(all, names)}` : bash(all, names)
}

/** zsh completes as bash does, once both are loaded; most start files have the first already. */
const ZSH = '(( $+functions[compdef] )) || { autoload -U compinit && compinit }\nautoload -U +X bashcompinit && bashcompinit'

/** In words that zsh, too, takes as they are meant: there `:COMP_CWORD` would be a modifier `C`. */
function bash (all: readonly Words[], names: readonly string[]): string {
  return `_mixmint () {
  local at='' word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
    case "$at\${at:+ }$word" in
      ${names.map(name => `'${name}'`).join('|')}) at="$at\${at:+ }$word" ;;
    esac
  done
  local words=''
  case "$at" in
${all.map(({ path, words }) => `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _mixmint mixmint`
}

function fish (all: readonly Words[]): string {
  const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`
  return ['complete -c mixmint -e', ...all.flatMap(({ path, words }) => {
    const parts = path === '' ? [] : path.split(' ')
    const deeper = all.filter(other => other.path.startsWith(`${path} `.trimStart()) && other.path.split(' ').length === parts.length + 1 && other.path !== '').map(other => other.path.split(' ').at(-1))
    const when = path === '' ? '__fish_use_subcommand' : [...parts.map(part => `__fish_seen_subcommand_from ${part}`), ...deeper.length > 0 ? [`not __fish_seen_subcommand_from ${deeper.join(' ')}`] : []].join('; and ')
    return words.map(({ word, what }) => `complete -c mixmint -n ${quoted(when)} ${word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${quoted(word)}`} -d ${quoted(what)}`)
  })].join('\n')
}
