//! The attribute `#[remote::object]`: it leaves a trait as it is, and writes beside it what calls its methods from afar.
//!
//! What it writes is two things: a type that implements the trait by sending calls, and, for `dyn Trait`, the way from a
//! call that came back to the method. Only methods of the trait are ever called: what it does not name is not exposed.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, ItemTrait, PathArguments, ReturnType, TraitItem, TraitItemFn,
    Type, parse_macro_input,
};

/// Makes the methods of a trait callable from other processes and machines.
#[proc_macro_attribute]
pub fn object(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemTrait);
    if !arguments.is_empty() {
        let error = Error::new(item.ident.span(), "#[remote::object] takes no arguments");
        return error.to_compile_error().into();
    }
    expand(item)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

fn expand(mut item: ItemTrait) -> syn::Result<Tokens> {
    if !item.generics.params.is_empty() {
        return Err(Error::new(
            item.generics.span(),
            "a remote object has no type parameters: who calls could not say them",
        ));
    }
    let mut methods = Vec::new();
    for part in &item.items {
        match part {
            TraitItem::Fn(method) => methods.push(Method::of(method)?),
            other => {
                return Err(Error::new(
                    other.span(),
                    "a remote object has methods and nothing else",
                ));
            }
        }
    }
    // An object is used by many threads at once, and lives as long as its server.
    item.supertraits
        .push(syn::parse_quote!(::core::marker::Send));
    item.supertraits
        .push(syn::parse_quote!(::core::marker::Sync));
    item.supertraits.push(syn::parse_quote!('static));
    let name = &item.ident;
    let text = name.to_string();
    let names = methods.iter().map(|method| method.name.to_string());
    let sends = methods.iter().map(Method::send);
    let receives = methods.iter().map(Method::receive);
    Ok(quote! {
        #item

        const _: () = {
            struct Sender(::remote::__private::Link);

            impl #name for Sender {
                #(#sends)*
            }

            impl ::remote::Object for dyn #name {
                const INTERFACE: &'static str = #text;
                const METHODS: &'static [&'static str] = &[#(#names),*];

                fn __sender(link: ::remote::__private::Link) -> ::std::boxed::Box<Self> {
                    ::std::boxed::Box::new(Sender(link))
                }

                fn __receive(
                    &self,
                    call: ::remote::__private::Call<'_>,
                ) -> ::remote::__private::Answer {
                    match call.method() {
                        #(#receives)*
                        _ => call.no_method(<Self as ::remote::Object>::METHODS),
                    }
                }
            }
        };
    })
}

struct Method<'a> {
    name: &'a syn::Ident,
    /// As they are written.
    arguments: Vec<&'a Type>,
    returns: &'a ReturnType,
}

impl<'a> Method<'a> {
    fn of(method: &'a TraitItemFn) -> syn::Result<Self> {
        let signature = &method.sig;
        if let Some(word) = &signature.asyncness {
            return Err(Error::new(
                word.span(),
                "a method of a remote object waits for its answer: leave `async` out",
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new(
                signature.generics.span(),
                "a method of a remote object has no type parameters: who calls could not say them",
            ));
        }
        let mut inputs = signature.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(own)) if own.reference.is_some() && own.mutability.is_none() => {}
            other => {
                return Err(Error::new(
                    other.map_or(signature.ident.span(), Spanned::span),
                    "a method of a remote object takes `&self`: many may call it at once; what changes goes into a Mutex",
                ));
            }
        }
        if matches!(signature.output, ReturnType::Default) {
            return Err(Error::new(
                signature.ident.span(),
                "a method of a remote object returns a Result, because a network may fail: `-> remote::Result<()>`",
            ));
        }
        let arguments = inputs.filter_map(|input| match input {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        });
        Ok(Method {
            name: &signature.ident,
            arguments: arguments.collect(),
            returns: &signature.output,
        })
    }

    fn places(&self) -> Vec<syn::Ident> {
        (0..self.arguments.len())
            .map(|number| format_ident!("argument_{number}"))
            .collect()
    }

    fn send(&self) -> Tokens {
        let (name, text, types, returns) = (
            self.name,
            self.name.to_string(),
            &self.arguments,
            self.returns,
        );
        let places = self.places();
        let sent = types
            .iter()
            .zip(&places)
            .map(|(kind, place)| match Kind::of(kind) {
                Kind::Block | Kind::SliceOfBytes => {
                    quote!(::remote::__private::BlockRef(&#place[..]))
                }
                _ => quote!(#place),
            });
        let call = quote!(self.0.call(#text, &(#(#sent,)*)));
        let body = if returns_block(returns) {
            quote! {
                let returned: ::core::result::Result<::remote::__private::Block, _> = #call;
                returned.map(|block| block.0)
            }
        } else {
            call
        };
        quote! {
            fn #name(&self, #(#places: #types),*) #returns {
                #body
            }
        }
    }

    fn receive(&self) -> Tokens {
        let (name, text) = (self.name, self.name.to_string());
        let places = self.places();
        let kinds: Vec<Kind<'_>> = self.arguments.iter().map(|kind| Kind::of(kind)).collect();
        let received = kinds.iter().map(Kind::received);
        let passed = kinds.iter().zip(&places).map(|(kind, place)| match kind {
            Kind::Owned(_) | Kind::Text | Kind::SliceOfBytes => quote!(#place),
            Kind::Block => quote!(#place.0),
            Kind::Slice(_) | Kind::Borrowed(_) => quote!(&#place),
        });
        let mut called = quote!(self.#name(#(#passed),*));
        if returns_block(self.returns) {
            called = quote!(#called.map(::remote::__private::Block));
        }
        quote! {
            #text => call.answer(|(#(#places,)*): (#(#received,)*)| #called),
        }
    }
}

/// What an argument is, as far as it matters for how it travels. Bytes are told by how their type is written: under another
/// name they travel too, in the same form, but are written and read one by one.
enum Kind<'a> {
    Owned(&'a Type),
    /// `Vec<u8>`
    Block,
    /// `&[u8]`, which is read where it lies in the message.
    SliceOfBytes,
    /// `&str`, too.
    Text,
    /// Another slice, of these.
    Slice(&'a Type),
    /// A reference to one of these.
    Borrowed(&'a Type),
}

impl<'a> Kind<'a> {
    fn of(kind: &'a Type) -> Self {
        let Type::Reference(reference) = kind else {
            return if is_block(kind) {
                Kind::Block
            } else {
                Kind::Owned(kind)
            };
        };
        match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => Kind::Text,
            Type::Slice(slice) if is_byte(&slice.elem) => Kind::SliceOfBytes,
            Type::Slice(slice) => Kind::Slice(&slice.elem),
            other => Kind::Borrowed(other),
        }
    }

    /// What is received for it: of a reference, the value behind it.
    fn received(&self) -> Tokens {
        match self {
            Kind::Owned(kind) | Kind::Borrowed(kind) => quote!(#kind),
            Kind::Block => quote!(::remote::__private::Block),
            Kind::SliceOfBytes => quote!(&[u8]),
            Kind::Text => quote!(&str),
            Kind::Slice(element) => quote!(::std::vec::Vec<#element>),
        }
    }
}

fn is_byte(kind: &Type) -> bool {
    matches!(kind, Type::Path(path) if path.path.is_ident("u8"))
}

/// Whether it is written as a `Vec<u8>`.
fn is_block(kind: &Type) -> bool {
    first_argument(kind, "Vec").is_some_and(is_byte)
}

/// Whether it is written as a `Result` of a `Vec<u8>`.
fn returns_block(returns: &ReturnType) -> bool {
    match returns {
        ReturnType::Type(_, kind) => first_argument(kind, "Result").is_some_and(is_block),
        ReturnType::Default => false,
    }
}

/// The first type in the angle brackets of a path that ends with this name.
fn first_argument<'a>(kind: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = kind else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(first) if last.ident == name => Some(first),
        _ => None,
    }
}
