//! The sections of a facade's document: the handlers of one file each.

use poem_openapi::OpenApi;
use poem_openapi::registry::MetaApi;

/// The operations whose handlers are in one file.
pub struct Operations {
    /// The file, from the root of the repository.
    pub file: &'static str,
    /// What the document says of them.
    pub api: MetaApi,
}

/// The handlers of one section of a document. A section has a file of its own; it never imports another section.
pub trait Section: OpenApi + Default {
    /// The file that the handlers stand in: always `file!()`.
    const FILE: &'static str;
}

/// Several sections, in the document's order.
pub trait Sections {
    /// What the document says of their operations, section by section.
    fn operations() -> Vec<Operations>;
}

macro_rules! sections {
    ($($section:ident)+) => {
        impl<$($section: Section),+> Sections for ($($section,)+) {
            fn operations() -> Vec<Operations> {
                let mut operations = Vec::new();
                $(operations.extend(<$section as OpenApi>::meta().into_iter().map(|api| Operations { file: $section::FILE, api }));)+
                operations
            }
        }
    };
}

sections!(A);
sections!(A B);
sections!(A B C);
sections!(A B C D);
sections!(A B C D E);
sections!(A B C D E F);
sections!(A B C D E F G);
sections!(A B C D E F G H);
sections!(A B C D E F G H I);
sections!(A B C D E F G H I J);
sections!(A B C D E F G H I J K);
sections!(A B C D E F G H I J K L);
sections!(A B C D E F G H I J K L M);
sections!(A B C D E F G H I J K L M N);
sections!(A B C D E F G H I J K L M N O);
sections!(A B C D E F G H I J K L M N O P);
