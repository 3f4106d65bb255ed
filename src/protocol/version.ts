/** The version of this product, equal to `package.json`'s. Client and backend work together only when theirs are the same. */
export const productVersion = '0.1.0';
