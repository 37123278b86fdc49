/** The skeleton: a whole model server is this class. `model_uri` is the directory its files are in, if it has any. */
export class Model {
  predict(): string {
    return 'Hello Model';
  }
}
