#!/usr/bin/env node
console.log('mixmint', process.version)
