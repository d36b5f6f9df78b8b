export function addDemo (): void {}
