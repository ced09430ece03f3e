// The rules of the pages hold here as well.
export { default } from '../frontend/eslint.config.js'
