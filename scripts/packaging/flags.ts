/** Node's flags in the image, as its entry point has them: V8 takes a code cache only where its flags are those of its making. */
export const FLAGS = ['--no-warnings', '--max-semi-space-size=4', '--heap-growing-percent=60'];
