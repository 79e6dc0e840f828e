//! Questions to a hub that recorded real traffic: filters, pages, formats, sums, and what is wrong
//! with a question.

mod access;
mod filters;
mod pages;
mod refusals;
mod town;
