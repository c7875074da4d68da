//! What Meta takes and does not deliver: templates of the category marketing to numbers of the United States. Meta calls it a pause, has
//! kept to it since April 2025, and reports such a message as failed with 131049, the code of its limit of marketing per person.
//!
//! Such a number is one with the country code 1 and an area code of the United States. Canada and countries in the Caribbean have the
//! same country code and are not concerned, so the area codes stand here one by one. What is not sure is not here, because who is named
//! here is left out of campaigns: area codes of American territories (Puerto Rico, Guam …), of which Meta does not say whether it means
//! them; codes that came into use after this list was made; toll-free numbers; and people who are known by Meta's own id alone. They are
//! sent to, and Meta decides.

/// The category of messages that is concerned.
pub(crate) const CATEGORY: &str = "marketing";

/// What is said to people.
pub(crate) const DETAIL: &str = "WhatsApp does not deliver marketing templates to numbers of the United States (country code 1 with an area code of that country)";

/// How the numbers concerned begin.
pub(crate) fn beginnings() -> Vec<String> {
    AREAS.iter().map(|area| format!("1{area}")).collect()
}

/// The area codes of the fifty states and the District of Columbia that are in use, in order.
#[rustfmt::skip]
const AREAS: [u16; 359] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220, 223, 224, 225, 227, 228,
    229, 231, 234, 235, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 272, 274, 276, 279, 281, 283,
    301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 324, 325, 326,
    327, 329, 330, 331, 332, 334, 336, 337, 339, 341, 346, 347, 350, 351, 352, 353, 360, 361, 363, 364, 369, 380, 385,
    386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424, 425, 430, 432, 434, 435,
    440, 442, 443, 445, 447, 448, 458, 463, 464, 469, 470, 472, 475, 478, 479, 480, 484, 501, 502, 503, 504, 505, 507,
    508, 509, 510, 512, 513, 515, 516, 517, 518, 520, 530, 531, 534, 539, 540, 541, 551, 557, 559, 561, 562, 563, 564,
    567, 570, 571, 572, 573, 574, 575, 580, 582, 585, 586, 601, 602, 603, 605, 606, 607, 608, 609, 610, 612, 614, 615,
    616, 617, 618, 619, 620, 623, 626, 628, 629, 630, 631, 636, 640, 641, 645, 646, 650, 651, 656, 657, 659, 660, 661,
    662, 667, 669, 678, 680, 681, 682, 686, 689, 701, 702, 703, 704, 706, 707, 708, 712, 713, 714, 715, 716, 717, 718,
    719, 720, 724, 725, 726, 727, 728, 730, 731, 732, 734, 737, 738, 740, 743, 747, 748, 754, 757, 760, 762, 763, 765,
    769, 770, 771, 772, 773, 774, 775, 779, 781, 785, 786, 801, 802, 803, 804, 805, 806, 808, 810, 812, 813, 814, 815,
    816, 817, 818, 820, 821, 826, 828, 830, 831, 832, 835, 838, 839, 840, 843, 845, 847, 848, 850, 854, 856, 857, 858,
    859, 860, 862, 863, 864, 865, 870, 872, 878, 901, 903, 904, 906, 907, 908, 909, 910, 912, 913, 914, 915, 916, 917,
    918, 919, 920, 925, 928, 929, 930, 931, 934, 936, 937, 938, 940, 941, 943, 945, 947, 948, 949, 951, 952, 954, 956,
    959, 970, 971, 972, 973, 975, 978, 979, 980, 983, 984, 985, 986, 989,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;

    fn is_concerned(number: &str) -> bool {
        let address = address::normalise(number).expect("a number");
        beginnings().iter().any(|beginning| address.starts_with(beginning.as_str()))
    }

    #[test]
    fn numbers_of_the_united_states_are_concerned() {
        for (state, number) in [
            ("New York", "+1 (212) 555-0123"),
            ("California", "1 650 555 1234"),
            ("Texas", "+1 512 555 0100"),
            ("District of Columbia", "12025550100"),
            ("Alaska", "+1 907 555 0100"),
            ("Hawaii", "+1 808 555 0100"),
        ] {
            assert!(is_concerned(number), "{state}");
        }
    }

    #[test]
    fn others_with_the_same_country_code_and_other_countries_are_not() {
        for (place, number) in [
            ("Toronto", "+1 416 555 0100"),
            ("Vancouver", "+1 604 555 0100"),
            ("Montreal", "+1 514 555 0100"),
            ("Jamaica", "+1 876 555 0100"),
            ("Jamaica", "+1 658 555 0100"),
            ("Dominican Republic", "+1 809 555 0100"),
            ("Bahamas", "+1 242 555 0100"),
            ("Trinidad and Tobago", "+1 868 555 0100"),
            ("Puerto Rico", "+1 787 555 0100"),
            ("Guam", "+1 671 555 0100"),
            ("toll-free", "+1 800 555 0100"),
            ("Brazil", "+55 12 12555-0123"),
            ("Meta's own id", "US.1212555"),
        ] {
            assert!(!is_concerned(number), "{place}");
        }
    }

    #[test]
    fn the_list_is_within_what_the_engine_takes() {
        let all = beginnings();
        assert!(all.len() <= 1_000 && all.iter().all(|one| one.len() == 4), "{} beginnings", all.len());
        assert!(AREAS.is_sorted_by(|one, next| one < next), "in order, each once");
        assert!(DETAIL.len() <= 256, "nothing of it is cut");
    }
}
