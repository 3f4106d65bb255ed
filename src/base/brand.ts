declare const brand: unique symbol;

/** A value of type `T` that has passed a check named `Name`; plain values are not assignable to it. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
