//! What must hold between two packets, whatever came: the fuzzer asks after each run.

use std::collections::BTreeSet;

use super::{Engine, gre_key};

impl Engine {
    /// Nothing is lost, nothing is left over, and what refers to something else finds it.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), String> {
        self.table.verify()?;
        self.expects.verify()?;
        self.check_expectations()?;
        self.check_gre()?;
        self.check_nat()
    }

    /// Every expectation is on its master's list, and every list has what is there.
    fn check_expectations(&self) -> Result<(), String> {
        for expect in self.expects.iter() {
            let master = self.table.slot_of(&expect.master.0, expect.master.1);
            if master.is_none() || !expect.confirmed {
                return Err(format!("no master: {expect:?}"));
            }
        }
        let mut listed = BTreeSet::new();
        for (_, flow) in self.table.iter() {
            for slot in flow.extra.iter().flat_map(|extra| &extra.expects) {
                let own = self.expects.get(*slot).is_some_and(|expect| expect.master.1 == flow.id);
                if !own || !listed.insert(*slot) {
                    return Err(format!("flow {} lists {slot}, which is not its own", flow.id));
                }
            }
        }
        if listed.len() == self.expects.len() { Ok(()) } else { Err("an expectation that no master lists".into()) }
    }

    /// GRE keys are those of living PPTP sessions, and all of them.
    fn check_gre(&self) -> Result<(), String> {
        let mut said: Vec<_> = self
            .table
            .iter()
            .flat_map(|(_, flow)| {
                let keys = flow.extra.as_ref().and_then(|extra| extra.gre);
                keys.into_iter().flatten().map(|key| (gre_key(&key), key.sport, flow.id))
            })
            .collect();
        let mut held: Vec<_> =
            self.gre_keys.iter().flat_map(|(place, found)| found.iter().map(|(key, id)| (*place, *key, *id))).collect();
        said.sort_unstable();
        held.sort_unstable();
        if said == held { Ok(()) } else { Err(format!("GRE keys {held:?}, and flows say {said:?}")) }
    }

    /// Sources that are mapped are those of living flows.
    fn check_nat(&self) -> Result<(), String> {
        let mut noted = self.nat.noted();
        match noted.find(|(orig, id)| self.table.slot_of(orig, *id).is_none()) {
            Some((_, id)) => Err(format!("NAT remembers flow {id}, which is gone")),
            None => Ok(()),
        }
    }
}
